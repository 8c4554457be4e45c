# expects: ?
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
