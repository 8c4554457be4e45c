"""The vocabulary: each word says what its sentence means, and touches nothing."""
