"""In charge of the tour: queries as several departments against a running node, each held to what the law says.

An expectation is written by hand, with the article; rows come straight from the generated data. Nothing here asks the
program's own decision code.

Articles are those of the Measures: 5 intranet and extranet, 7 own data, 9(2) only partly for all, 10(2) basic items,
11(1) duty and purpose, 11(2) taken directly, 11(3) application and reply, 11(4) consultation and coordination.
"""
