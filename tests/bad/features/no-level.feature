# expects: 6: "It works" has no level; tag it with one of @P0 to @P4
@shop @daily
Feature: no level

  @BAD-F-1
  Scenario: It works
    Given the shop
    Then its mood is calm
