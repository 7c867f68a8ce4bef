"""In charge of the tables of working days that come with the program."""
