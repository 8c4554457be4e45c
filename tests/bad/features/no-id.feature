# expects: 6: "It works" has no id; tag it with its procedure, @MM-DAY-1
@shop @daily
Feature: no id

   @P2
  Scenario: It works
    Given the shop
    Then its mood is calm
