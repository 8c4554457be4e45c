# expects: 8: "mood" can't be read over a time: shop.yml gives it neither :since nor {window.hours} nor at
@shop @daily
Feature: window without one

  @BAD-V-1 @P2
  Scenario: It works
    Given the shop
    Then over the last 24 hours its mood is calm
