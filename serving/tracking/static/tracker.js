/* The browser tracker: runs the commands of the queue `_ycq` and sends each as one tracking call.
   Nothing of it throws into the page, and nothing of it is global but `_ycq`. */
(function () {
  'use strict';

  var ITEM_OPENED = /^(click|consume)$/;
  var LINK_PARAMETERS = /^(scenario|modelid|requestuuid|categorypath|rid|sig)=./;
  var script = document.currentScript || document.querySelector('script[src*="/tracker.js"]'); // modules have none
  var host = script && script.src ? script.src.replace(/[?#].*/, '').replace(/\/[^\/]*$/, '') : location.origin;
  var customer = '';
  var early = []; // commands that came before the customer was named
  var beacons = true;
  var sent = []; // the newest beacons, which the page's policy may still refuse
  var followed = ''; // the address whose `ycreco=true` has been sent

  function guarded(work) {
    return function () {
      try {
        return work.apply(null, arguments);
      } catch (error) { /* a broken command is the page's loss, never its failure */ }
    };
  }

  function given(value) {
    return value != null && value !== '';
  }

  function cookie() {
    var found = /(?:^|; *)YCID=([^;]+)/.exec(document.cookie);
    return found ? found[1] : '';
  }

  // Who wrote the cookie may have encoded it.
  function decoded(id) {
    return guarded(decodeURIComponent)(id) || id;
  }

  function newId() {
    return [].map.call(crypto.getRandomValues(new Uint8Array(16)), function (byte) {
      return (byte + 256).toString(16).slice(1);
    }).join('');
  }

  // Whose browser keeps no cookie is nobody: otherwise each of his pages would be a visitor.
  function anonymous() {
    try {
      var id = cookie() || newId();
      document.cookie = 'YCID=' + id + '; Path=/; Max-Age=7776000; SameSite=Lax' +
        (location.protocol == 'https:' ? '; Secure' : '');
      if (cookie() == id) return decoded(id);
    } catch (error) { /* a sandboxed frame has no cookies */ }
    return 'not_defined';
  }

  // An extra is a query string (with or without `?`), a category path (`/A/B`) or an object of parameters.
  function pairs(extra) {
    if (typeof extra == 'string') {
      if (extra.charAt(0) != '/') return extra.replace(/^[?&]+/, '').replace(/#/g, '%23').split('&');
      extra = {categorypath: extra};
    }
    var made = [];
    Object.keys(extra || {}).forEach(function (name) {
      [].concat(extra[name]).filter(given).forEach(function (value) {
        made.push(encodeURIComponent(name) + '=' + encodeURIComponent(value));
      });
    });
    return made;
  }

  function address(parts, extras) {
    var query = [].concat.apply([], extras.map(pairs)).filter(given).join('&');
    var path = ['api', customer].concat(parts).map(encodeURIComponent).join('/');
    return new URL(host + '/' + path + (query && '?' + query)).href; // as the browser will tell it, if it is refused
  }

  // A beacon outlives the page. Unknown, refused, or forbidden by the policy: a pixel, which may die with the page.
  function send(url) {
    try {
      if (beacons && navigator.sendBeacon(url)) {
        if (sent.push(url) > 50) sent.shift();
        return;
      }
    } catch (error) { /* no beacons here */ }
    pixel(url);
  }

  function pixel(url) {
    var image = new Image(1, 1);
    image.onload = image.onerror = function () {}; // who is listened to is not collected before he has loaded
    image.src = url;
  }

  function refused(violation) {
    if (violation.disposition == 'report' || violation.effectiveDirective != 'connect-src') return;
    var place = sent.indexOf(violation.blockedURI);
    if (place < 0) return;
    beacons = false;
    pixel(sent.splice(place, 1)[0]);
  }

  // Hidden time does not count: a page in a background tab is not being read.
  function whenSeen(left, work) {
    var since, timer;
    function look() {
      clearTimeout(timer);
      if (since != null) left -= performance.now() - since;
      since = null;
      if (document.visibilityState != 'hidden') {
        since = performance.now();
        timer = setTimeout(done, Math.max(left, 0));
      }
    }
    function done() {
      document.removeEventListener('visibilitychange', look);
      work();
    }
    document.addEventListener('visibilitychange', look);
    look();
  }

  // The page that a recommendation led to says which item it shows; its address says which scenario led there.
  function follow(event, user, type, item) {
    if (!/[?&]ycreco=true(?=[&#]|$)/.test(location.href) || followed == location.href) return;
    followed = location.href;
    send(address(['clickrecommended', user, type, item], location.href.split(/[?&#]/).filter(function (pair) {
      return LINK_PARAMETERS.test(pair);
    })));
  }

  function track(type, event, item, user, extras, milliseconds) {
    if (/^\d+$/.test(event)) event = [type, type = event][0]; // both orders are in use
    if (![type, event, item].every(given) || !(milliseconds >= 0 && milliseconds < 2147483648)) return;
    user = given(user) && user != 'undefined' ? user : anonymous();
    var url = address([event, user, type, item], extras);
    if (milliseconds) whenSeen(milliseconds, guarded(send.bind(null, url)));
    else send(url);
    if (ITEM_OPENED.test(event)) follow(event, user, type, item);
    else if (/^(clickrecommended|follow)$/.test(event)) followed = location.href;
  }

  var commands = {
    _setMandator: function (id) {
      customer = given(id) ? id : customer;
      if (customer) early.splice(0).forEach(execute);
    },
    _setHost: function (name) {
      var scheme = location.protocol == 'http:' ? 'http://' : 'https://';
      host = new URL(/^https?:/.test(name) ? name : scheme + name.replace(/^\/+/, '')).href.replace(/\/+$/, '');
    },
    _trackPageview: function (item, user) {
      track('1', 'click', arguments.length ? item : document.title, user, [].slice.call(arguments, 2), 0);
    },
    _trackEvent: function (type, event, item, user) {
      track(type, event, item, user, [].slice.call(arguments, 4), 0);
    },
    _trackTimedEvent: function (type, event, item, milliseconds, user) {
      track(type, event, item, user, [].slice.call(arguments, 5), parseInt(milliseconds, 10));
    },
    _login: function (source, target) {
      source = given(source) ? source : decoded(cookie());
      if (source && given(target)) send(address(['login', source, target], [].slice.call(arguments, 2)));
    }
  };
  commands._setAccount = commands._setMandator;

  var execute = guarded(function (command) {
    var name = command[0];
    if (!commands.hasOwnProperty(name)) return;
    if (!customer && name.indexOf('_set')) early.push(command);
    else commands[name].apply(null, [].slice.call(command, 1));
  });

  guarded(function () {
    var queue = typeof _ycq == 'undefined' ? 0 : _ycq; // `let` and `const` make no property of `window`
    if (!Array.isArray(queue)) queue = window._ycq = [];
    if (queue.started) return; // the script is in the page twice
    queue.started = true;
    document.addEventListener('securitypolicyviolation', guarded(refused));
    function start() {
      queue.push = function () {
        [].forEach.call(arguments, execute);
        return queue.length;
      };
      queue.splice(0).forEach(execute);
    }
    // A page that is prepared before anybody asked for it has not been opened yet.
    if (document.prerendering) document.addEventListener('prerenderingchange', guarded(start), {once: true});
    else start();
  })();
})();
