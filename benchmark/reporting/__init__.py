"""Reports: the measured files as figures, tables and two PDF documents."""
