// Allure's page takes the place of this one when it is asked for, or when the address names one of
// its results: 15 MB of script are then neither run nor waited for by readers of the first page.
(function () {
  var data = document.getElementById('wk-allure');
  function open() {
    var page = JSON.parse(data.textContent);
    if (location.hash === '#wk-steps') history.replaceState(null, '', '#');
    document.open(); document.write(page); document.close();
  }
  function look() {
    if (location.hash === '#wk-steps' || (location.hash.length > 1 &&
        location.hash.slice(0, 4) !== '#wk-')) open();
  }
  document.getElementById('wk-open').addEventListener('click', function (event) {
    event.preventDefault(); history.pushState(null, '', '#wk-steps'); open();
  });
  addEventListener('hashchange', look);
  look();
})();
