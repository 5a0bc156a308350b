"""What is looked after every hour: retention, orphaned objects, ended sessions; and restores."""
