# expects: ?
@shop @daily
Feature: no id

   @P2
  Scenario: It works
    Given the shop
    Then its mood is calm
