"""Tanglai: one GraphQL schema over departments' systems, in which the law decides what each requester sees."""
