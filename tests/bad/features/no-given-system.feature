# expects: 6: "It works" does not begin with its one system; write "Given the shop" or "Given the yard"
@shop @daily
Feature: no given system

  @BAD-U-2 @P2
  Scenario: It works
    Then its mood is calm
