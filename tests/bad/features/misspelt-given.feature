# expects: 7: "Givn the shop" is no step; did you mean "Given"?
@shop @daily
Feature: misspelt given

  @BAD-W-2 @P2
  Scenario: It works
    Givn the shop
    Then its mood is calm
