"""`kill -9` at named moments and at random ones, against a real practice gateway: nothing lost, nothing doubled."""
