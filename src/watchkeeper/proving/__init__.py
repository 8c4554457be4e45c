"""How replicas are run, and checks seen red on them."""
