# expects: 6: "It works" has the levels P1, P2; tag it with one of @P0 to @P4
@shop @daily
Feature: two levels

  @BAD-G-1 @P1 @P2
  Scenario: It works
    Given the shop
    Then its mood is calm
