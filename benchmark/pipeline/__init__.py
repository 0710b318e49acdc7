"""What runs, with what, and where its files lie: settings, layout, profiles, workspaces."""
