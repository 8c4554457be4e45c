# expects: ?
@shop @daily
Feature: undeclared state

  @BAD-P-1 @P2
  Scenario: It works
    Given the shop
    Then its mood is clam
