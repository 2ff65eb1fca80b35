// Sets the theme before the first paint: what the user chose, else what the system prefers. Runs as a classic script
// so that the page never flashes in the wrong colours.
(function () {
  var stored = null;
  try { stored = localStorage.getItem('theme'); } catch (e) { /* storage may be denied; the system's choice serves */ }
  var dark = stored ? stored === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
  document.documentElement.dataset.theme = dark ? 'dark' : 'light';
})();
