# expects: 8: "the same as before" compares with before, but nothing is done before; an operation must come first: "When the operator …"
@shop @daily
Feature: before without operation

  @BAD-Q-1 @P2
  Scenario: It works
    Given the shop
    Then its pace is the same as before
