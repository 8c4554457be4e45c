# expects: 15: "It works" is also the name on line 8; only one of two scenarios of one name would run, so give this one another
@shop @daily
Feature: two of one name in two rules

  Rule: One

  @BAD-B-1 @P2
  Scenario: It works
    Given the shop
    Then it has no orders

  Rule: Two

  @BAD-B-2 @P2
  Scenario: It works
    Given the shop
    Then its mood is calm
