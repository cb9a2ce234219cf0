// What is wrong with the page that is open, in words; `width` is the window's, in px, `how` is desktop, phone or dark
(async (width, how) => {
  const found = [], main = document.querySelector('main') || document.body, style = e => getComputedStyle(e)
  const text = e => JSON.stringify((e.innerText ?? e.textContent).trim().split('\n')[0].slice(0, 50))
  const tell = (list, what) => {  // a list of things that are wrong, of which the first is named
    if (list.length) found.push(`${what}: ${list[0]}${list.length > 1 ? ` and ${list.length - 1} more` : ''}`)
  }
  const all = what => [...main.querySelectorAll(what)].filter(e => e.getClientRects().length)
  const rgba = c => {
    const n = c.match(/[\d.]+/g).map(Number), k = c.startsWith('color(') ? 255 : 1
    return [n[0]*k, n[1]*k, n[2]*k, n[3] ?? 1]
  }
  const right = e => e.getBoundingClientRect().right

  // what is too wide, and whether a reader sees that it can be scrolled
  const scrolls = e => /auto|scroll/.test(style(e).overflowX) && e.scrollWidth > e.clientWidth + 1
  const scroller = e => { for (; e && e !== main.parentElement; e = e.parentElement) if (scrolls(e)) return e }
  const unsigned = e => {  // no bar, no shadow at the edge, or one that the cells hide
    const box = scroller(e), cell = e.querySelector('td')
    const hidden = cell && rgba(style(cell).backgroundColor)[3]
    const shadow = box && style(box).backgroundAttachment.includes('local') && !hidden
    return box && !shadow && box.offsetHeight - box.clientHeight < 6
  }
  const over = document.documentElement.scrollWidth - width
  if (over > 1) found.push(`${over} px wider than the window`)
  const code = all('pre').filter(e => !e.closest('.cell-output')), cut = code.filter(scroller)
  if (how === 'desktop') tell(cut.map(text), `${cut.length} of ${code.length} blocks of code do not fit`)
  tell(all('pre').filter(unsigned).map(text), 'text goes on at the right, and nothing shows it')
  tell(all('table').filter(unsigned).map(text), 'columns are hidden, and nothing shows it')
  const beyond = all('pre, table, img, svg, math, p, h2, h3').filter(e => right(e) > width + 1 && !scroller(e))
  tell(beyond.map(e => `<${e.localName}> ${text(e)}`), 'cut off at the right')

  const pictures = all('img')
  await Promise.all(pictures.map(e => e.decode().catch(() => 0)))
  tell(pictures.filter(e => !e.naturalWidth).map(e => e.src.slice(-40)), 'a picture is missing')
  tell(pictures.filter(e => right(e) > right(main) + 1).map(e => e.alt.slice(0, 40)), 'a picture is too wide')

  // letters: their size, and their contrast with what lies under them (WCAG's relative luminance)
  const onto = (a, b) => [0, 1, 2].map(i => a[i]*a[3] + b[i]*(1 - a[3])).concat(1)
  const ground = e => {
    const layers = []
    for (; e; e = e.parentElement) {
      layers.push(rgba(style(e).backgroundColor))
      if (layers.at(-1)[3] === 1) break
    }
    return layers.reverse().reduce((under, layer) => onto(layer, under), [255, 255, 255, 1])
  }
  const light = c => c.slice(0, 3).map(v => (v /= 255) <= .04045 ? v/12.92 : ((v + .055)/1.055)**2.4)
                      .reduce((sum, v, i) => sum + v*[.2126, .7152, .0722][i], 0)
  const contrast = e => {
    const under = ground(e), [a, b] = [light(onto(rgba(style(e).color), under)), light(under)]
    return (Math.max(a, b) + .05)/(Math.min(a, b) + .05)
  }
  const told = e => [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim())
  const words = how === 'phone' ? [] : all(':not(math, math *)').filter(told)
  tell(words.filter(e => contrast(e) < 3).map(e => `${text(e)} ${contrast(e).toFixed(1)}`), 'contrast below 3')
  tell(words.filter(e => parseFloat(style(e).fontSize) < 9).map(text), 'letters below 9 px')

  // where a link into the page ends
  const bar = document.querySelector('#quarto-header'), under = []
  document.documentElement.style.scrollBehavior = 'auto'
  for (const e of all('[id^="eq-"], h2[id], h3[id]')) {
    e.scrollIntoView()
    if (e.getBoundingClientRect().top < bar.getBoundingClientRect().bottom - 1) under.push('#' + e.id)
  }
  tell(under, 'a link to it ends under the bar')
  window.scrollTo(0, 0)
  return how === 'dark' ? found.filter(f => f.startsWith('contrast')) : found
})
