# expects: 8: "meanwhile" needs something that is going on, and no sentence says that yet; write for example "within 2 minutes"
@shop @daily
Feature: meanwhile

  @BAD-Y-1 @P2
  Scenario: It works
    Given the shop
    Then meanwhile its mood is calm
