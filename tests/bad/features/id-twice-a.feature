# expects nothing: the twin of id-twice-b
@shop @daily
Feature: id twice a

  @BAD-S-1 @P2
  Scenario: It works
    Given the shop
    Then its mood is calm
