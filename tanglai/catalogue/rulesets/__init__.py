"""In charge of the rule sets' files, one TOML file each."""
