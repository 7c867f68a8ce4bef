"""In charge of the catalogue guide's spreadsheet (2017): reading one into drafts with a report, and writing one."""
