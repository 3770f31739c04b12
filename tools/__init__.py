"""What developers run on the repository; none of it is in the package."""
