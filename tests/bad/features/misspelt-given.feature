# expects: ?
@shop @daily
Feature: misspelt given

  @BAD-W-2 @P2
  Scenario: It works
    Givn the shop
    Then its mood is calm
