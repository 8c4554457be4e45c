# expects: ?
@shop @daily
Feature: no scenario

