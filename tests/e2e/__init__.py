"""The real program: window, engine, gateway, sockets."""
