"""Operations runbooks as test suites."""
