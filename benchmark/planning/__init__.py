"""Stage `plan`: settings are checked, and what each stage and system depends on is written down."""
