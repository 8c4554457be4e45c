# expects: 11: "It works" is also the name on line 6; only one of two scenarios of one name would run, so give this one another
@shop @daily
Feature: two of one name

  @BAD-A-1 @P2
  Scenario: It works
    Given the shop
    Then it has no orders

  @BAD-A-2 @P2
  Scenario: It works
    Given the shop
    Then its mood is calm
