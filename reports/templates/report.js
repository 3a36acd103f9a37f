'use strict';
(() => {
  const byId = id => document.getElementById(id);
  const clock = seconds => {
    const tenths = Math.round(seconds * 10), whole = Math.floor(tenths / 10), two = n => String(n).padStart(2, '0');
    const h = Math.floor(whole / 3600), m = Math.floor(whole / 60) % 60, tail = tenths % 10 ? '.' + tenths % 10 : '';
    return (h ? h + ':' + two(m) : m) + ':' + two(whole % 60) + tail;
  };
  const chart = byId('chart');
  if (chart) {
    const steps = JSON.parse(byId('steps').textContent), cursor = byId('cursor');
    const first = steps[0][0], length = Math.max(steps[steps.length - 1][1] - first, 0.1);
    const outputs = [...document.querySelectorAll('.legend output')];
    const rest = {when: byId('when').textContent, who: byId('who').textContent, positivity: byId('positivity').textContent};
    const dots = [...document.querySelectorAll('.dots i')];
    let at = -1;

    const clear = () => {
      at = -1; cursor.hidden = true;
      for (const id in rest) byId(id).textContent = rest[id];
      byId('faces').textContent = '';
      outputs.forEach(o => { o.textContent = o.dataset.overall; });
      dots.forEach(d => d.classList.remove('on'));
    };
    const show = index => {
      at = Math.max(0, Math.min(steps.length - 1, index));
      const [start, end, mix, positivity, faces, usable, persons] = steps[at];
      cursor.hidden = false;
      cursor.style.left = 100 * ((start + end) / 2 - first) / length + '%';
      byId('when').textContent = end - start < 0.3 ? clock(start) : clock(start) + ' – ' + clock(end);
      byId('who').textContent = persons + (persons === 1 ? ' person · ' : ' persons · ') + faces + (faces === 1 ? ' face, ' : ' faces, ') + usable + ' usable';
      outputs.forEach((o, i) => { o.textContent = mix[i] === null ? '–' : Math.round(mix[i] / 10) + '\u202f%'; });
      byId('positivity').textContent = positivity === null ? '–' : (positivity < 0 ? '−' : '+') + Math.abs(positivity).toFixed(2);
      byId('faces').textContent = faces;
      dots.forEach(d => d.classList.toggle('on', +d.dataset.at < end && +d.dataset.at + 1 > start));
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
    document.querySelectorAll('.go').forEach(button => button.addEventListener('click', () => {
      chart.focus({preventScroll: true});
      chart.scrollIntoView({block: 'center'});
      show(find(+button.dataset.at + 0.5));
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
  addEventListener('beforeprint', () => document.querySelectorAll('details').forEach(d => { d.open = true; }));
})();
