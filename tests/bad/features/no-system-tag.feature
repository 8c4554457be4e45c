# expects: ?
@daily
Feature: no system tag

  @BAD-T-1 @P2
  Scenario: It works
    Given the shop
    Then its mood is calm
