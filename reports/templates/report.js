'use strict';
(() => {
  const byId = id => document.getElementById(id);
  const clock = seconds => {
    const tenths = Math.round(seconds * 10), whole = Math.floor(tenths / 10), two = n => String(n).padStart(2, '0');
    const h = Math.floor(whole / 3600), m = Math.floor(whole / 60) % 60, tail = tenths % 10 ? '.' + tenths % 10 : '';
    return (h ? h + ':' + two(m) : m) + ':' + two(whole % 60) + tail;
  };
  const signed = value => value === null ? '–' : Math.abs(value) < 0.005 ? '0.00' : (value < 0 ? '−' : '+') + Math.abs(value).toFixed(2);
  const chart = byId('chart');
  if (chart) {
    const steps = JSON.parse(byId('steps').textContent), cursor = byId('cursor');
    const first = steps[0][0], length = Math.max(steps[steps.length - 1][1] - first, 0.1);
    const outputs = [...document.querySelectorAll('.legend output')];
    const windows = JSON.parse(byId('windows').textContent);
    const stretches = JSON.parse(byId('stretches').textContent), engagement = byId('engagement');
    const rest = {when: byId('when').textContent, who: byId('who').textContent, positivity: byId('positivity').textContent};
    const dots = [...document.querySelectorAll('.dots i')];
    let at = -1;

    // The window whose middle is nearest, if the time lies within it.
    const together = seconds => {
      let best = null, apart = Infinity;
      for (const one of windows) {
        const away = Math.abs((one[0] + one[1]) / 2 - seconds);
        if (away < apart && one[0] <= seconds && seconds <= one[1]) { best = one; apart = away; }
      }
      if (!best) return windows.length ? '–' : '';
      return signed(best[2]) + (best[5] ? ', more than by chance · ' : ', not told from chance · ') + best[4] + ' persons · ' + clock(best[0]) + ' – ' + clock(best[1]);
    };
    const standing = seconds => {
      const one = stretches.find(each => each[0] <= seconds && seconds < each[1]);
      if (!one) return '–';
      return signed(one[2]) + (one[3] === null ? '' : ' (95 %: ' + signed(one[3]) + ' to ' + signed(one[4]) + ')') + ' · ' + one[5] + ' persons · ' + clock(one[0]) + ' – ' + clock(one[1]);
    };
    const clear = () => {
      at = -1; cursor.hidden = true; delete chart.dataset.at;
      for (const id in rest) byId(id).textContent = rest[id];
      byId('faces').textContent = byId('synchrony').textContent = '';
      if (engagement) engagement.textContent = '';
      outputs.forEach(o => { o.textContent = o.dataset.overall; });
      dots.forEach(d => d.classList.remove('on'));
    };
    const show = index => {
      at = Math.max(0, Math.min(steps.length - 1, index));
      const [start, end, mix, positivity, faces, usable, persons] = steps[at];
      cursor.hidden = false;
      chart.dataset.at = start;
      cursor.style.left = 100 * ((start + end) / 2 - first) / length + '%';
      byId('when').textContent = end - start < 0.3 ? clock(start) : clock(start) + ' – ' + clock(end);
      byId('who').textContent = persons + (persons === 1 ? ' person · ' : ' persons · ') + faces + (faces === 1 ? ' face, ' : ' faces, ') + usable + ' usable';
      outputs.forEach((o, i) => { o.textContent = mix[i] === null ? '–' : Math.round(mix[i] / 10) + '\u202f%'; });
      byId('positivity').textContent = signed(positivity);
      byId('synchrony').textContent = together((start + end) / 2);
      if (engagement) engagement.textContent = standing((start + end) / 2);
      byId('faces').textContent = faces;
      const near = dots.filter(d => +d.dataset.from < end && +d.dataset.to > start);
      dots.forEach(d => d.classList.toggle('on', near.includes(d)));
      if (near.length) byId('who').textContent += ' · ' + near.map(d => d.dataset.what).join(', ');
    };
    const find = seconds => {
      let low = 0, high = steps.length - 1;
      while (low < high) { const mid = (low + high + 1) >> 1; if (steps[mid][0] <= seconds) low = mid; else high = mid - 1; }
      return low;
    };
    const point = event => {
      const box = chart.getBoundingClientRect();
      show(find(first + length * (event.clientX - box.left) / box.width));
    };
    chart.addEventListener('pointermove', point);
    chart.addEventListener('pointerdown', point);
    chart.addEventListener('pointerleave', event => { if (event.pointerType === 'mouse') clear(); });
    chart.addEventListener('keydown', event => {
      const far = Math.max(1, Math.round(steps.length / 20));
      const move = {ArrowLeft: at - 1, ArrowRight: at + 1, PageDown: at + far, PageUp: at - far, Home: 0, End: steps.length - 1};
      if (event.key === 'Escape') clear();
      else if (event.key in move) show(move[event.key]);
      else return;
      event.preventDefault();
    });
    chart.addEventListener('blur', clear);
    // The page that plays the film beside it says where the film is, and reads data-at where somebody points.
    chart.addEventListener('show', event => show(find(event.detail)));
    document.querySelectorAll('.go').forEach(button => button.addEventListener('click', () => {
      chart.focus({preventScroll: true});
      chart.scrollIntoView({block: 'center'});
      show(find(+button.dataset.at));
    }));
  }

  const persons = byId('persons');
  if (persons) {
    const body = persons.tBodies[0], all = byId('all');
    if (body.rows.length > 20) {
      persons.classList.add('short');
      all.hidden = false;
      all.addEventListener('click', () => { persons.classList.remove('short'); all.hidden = true; });
    }
    persons.querySelectorAll('thead button').forEach(button => button.addEventListener('click', () => {
      const head = button.closest('th'), key = button.dataset.key, text = key === 'shown';
      const was = head.getAttribute('aria-sort') || (text || key === 'person' || key === 'first' ? 'descending' : 'ascending');
      persons.querySelectorAll('[aria-sort]').forEach(other => other.removeAttribute('aria-sort'));
      head.setAttribute('aria-sort', was === 'descending' ? 'ascending' : 'descending');
      const sign = was === 'descending' ? 1 : -1;
      const order = (a, b) => text ? a.dataset[key].localeCompare(b.dataset[key]) : a.dataset[key] - b.dataset[key];
      [...body.rows].sort((a, b) => sign * order(a, b)).forEach(row => body.append(row));
    }));
  }
  if (persons) {
    const heat = JSON.parse(byId('heat').textContent), tip = byId('tip'), body = persons.tBodies[0];
    for (const person in heat.rows) heat.rows[person] = heat.rows[person].split(',');
    let row = null, cell = 0, shownAt = 0;
    const words = value => value === undefined || value === '' ? 'not in the picture' : value === 'x' ? 'could not be read' : 'positivity ' + signed(value / 100);
    const put = (x, y) => {
      const from = heat.start + cell * heat.step;
      persons.dataset.at = from;
      tip.textContent = 'Person ' + row.dataset.person + ' · ' + clock(from) + ' – ' + clock(from + heat.step) + ' · ' + words(heat.rows[row.dataset.person][cell]);
      tip.hidden = false;
      shownAt = scrollY;
      tip.style.left = Math.max(8, Math.min(x + 12, innerWidth - tip.offsetWidth - 8)) + 'px';
      tip.style.top = (y > 60 ? y - tip.offsetHeight - 14 : y + 22) + 'px';
      [...body.rows].forEach(other => other.classList.toggle('at', other === row));
    };
    const away = () => { tip.hidden = true; if (row) row.classList.remove('at'); };
    const view = body.querySelector('svg').viewBox.baseVal;
    const point = event => {
      const spans = event.target.closest('td.spans');
      if (!spans) return away();
      row = spans.parentNode;
      const box = spans.firstElementChild.getBoundingClientRect();
      cell = Math.max(0, Math.min(heat.rows[row.dataset.person].length - 1, Math.floor(view.x + view.width * (event.clientX - box.left) / box.width)));
      put(event.clientX, event.clientY);
    };
    persons.addEventListener('pointermove', point);
    persons.addEventListener('pointerdown', point);
    persons.addEventListener('pointerleave', event => { if (event.pointerType === 'mouse') away(); });
    addEventListener('scroll', () => { if (Math.abs(scrollY - shownAt) > 2) away(); }, {passive: true});
    persons.addEventListener('blur', away);
    persons.addEventListener('keydown', event => {
      if (event.target !== persons) return;
      const shown = [...body.rows].filter(one => one.offsetHeight), at = Math.max(0, shown.indexOf(row));
      const move = {ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1]}[event.key];
      if (event.key === 'Escape') return away();
      if (!move) return;
      event.preventDefault();
      if (row) cell = Math.max(0, Math.min(heat.rows[row.dataset.person].length - 1, cell + move[1]));
      row = shown[row ? Math.max(0, Math.min(shown.length - 1, at + move[0])) : 0];
      row.scrollIntoView({block: 'nearest'});
      const box = row.querySelector('svg').getBoundingClientRect();
      put(box.left + box.width * (cell + 0.5 - view.x) / view.width, box.top);
    });
  }
  addEventListener('beforeprint', () => document.querySelectorAll('details').forEach(d => { d.open = true; }));
})();
