"""What the program can do, for the window and the command line alike. Each service runs on the loop's thread."""
