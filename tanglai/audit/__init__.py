"""In charge of the audit log: one durable record of every operation before its answer leaves."""
