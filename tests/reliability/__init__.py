"""What must hold whatever happens: kills, full disks, hostile files, leaks. ``make chaos`` runs the long part."""
