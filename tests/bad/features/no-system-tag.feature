# expects: 3: "no system tag" is tagged with no system; add one of: @shop, @yard
@daily
Feature: no system tag

  @BAD-T-1 @P2
  Scenario: It works
    Given the shop
    Then its mood is calm
