"""What every room uses and no room owns: errors, whole files, progress, memory."""
