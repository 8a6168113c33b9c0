"""Take in and give back descriptors that clients pass over UNIX sockets."""
