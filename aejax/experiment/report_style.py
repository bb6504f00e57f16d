"""The style of HTML pages: light and dark, on wide and narrow screens, and on paper."""

NARROW = "screen and (max-width: 48rem)"  # a phone held upright; paper is never narrow
_LIGHT = "--ink: #1f2430; --quiet: #5b6472; --line: #e1e5ea; --paper: #fff; --box: #f5f6f8; --accent: #33578f;"
_DARK = "--ink: #e6e8ec; --quiet: #a3abb8; --line: #353b46; --paper: #14171c; --box: #1e232b; --accent: #8fb3ea;"
STYLE = f"""
:root {{ color-scheme: light dark; {_LIGHT} }}
@media screen and (prefers-color-scheme: dark) {{ :root {{ {_DARK} }} }}
* {{ box-sizing: border-box; }}
body {{ margin: 0; color: var(--ink); background: var(--paper); font: 16px/1.5 system-ui, sans-serif; }}
main {{ max-width: 62rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }}
h1 {{ font-size: 1.7rem; line-height: 1.2; margin: 0 0 .25rem; overflow-wrap: anywhere; }}
h2 {{ font-size: 1.15rem; margin: 2.5rem 0 .5rem; padding-top: 1rem; border-top: 1px solid var(--line); }}
p {{ margin: .4rem 0; max-width: 46rem; overflow-wrap: anywhere; }}
.quiet, figcaption, .unit {{ color: var(--quiet); font-size: .92rem; }}
.unit {{ display: block; font-size: .82rem; font-weight: 400; line-height: 1.3; }}
.cards {{ display: grid; grid-template-columns: repeat(var(--across), 1fr); gap: .75rem; margin: 1.25rem 0; }}
.card {{ border: 1px solid var(--line); border-radius: .5rem; padding: .7rem .9rem; }}
.card b {{ display: block; font-size: 1.35rem; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }}
.card span {{ color: var(--quiet); font-size: .85rem; }}
.scroll {{ overflow-x: auto; }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; margin: .75rem 0; }}
th, td {{ padding: .3rem 1.1rem .3rem 0; text-align: right; border-bottom: 1px solid var(--line); }}
th, td {{ white-space: nowrap; vertical-align: top; }}
th:first-child, td:first-child {{ text-align: left; white-space: normal; overflow-wrap: break-word; }}
th {{ font-weight: 600; color: var(--quiet); vertical-align: bottom; }}
table.many td {{ white-space: normal; }}
table.prose :is(th, td) {{ text-align: left; white-space: normal; overflow-wrap: anywhere; }}
figure {{ margin: 1rem 0 1.5rem; }}
figcaption {{ max-width: 46rem; }}
img {{ max-width: 100%; height: auto; display: block; background: #fff; border-radius: .4rem; }}
figure.wide {{ overflow-x: auto; }}
figure.wide img {{ max-width: none; width: max(100%, 44rem); }}
figure.wide figcaption {{ position: sticky; left: 0; }}
pre {{ background: var(--box); padding: .8rem 1rem; border-radius: .5rem; }}
pre {{ white-space: pre-wrap; overflow-wrap: anywhere; }}
summary {{ cursor: pointer; color: var(--accent); }}
"""
# on a dark page the lightness of curves is inverted and their hues are kept, so that white paper becomes the page
STYLE += """@media screen and (prefers-color-scheme: dark) {
figure.curves img { filter: invert(1) hue-rotate(180deg) brightness(1.15); mix-blend-mode: screen; }
}
"""
# on a narrow screen a name is to the left of its value, or above its values if there are several
STYLE += f"""@media {NARROW} {{
.cards {{ grid-template-columns: 1fr 1fr; }}
.card:last-child:nth-child(odd) {{ grid-column: span 2; }}
table:not(.prose) :is(th, td):not(:first-child) {{ font-size: .87rem; }}
table.many :is(th, td):first-child {{ position: sticky; left: 0; background: var(--paper); }}
table.many :is(th, td):first-child {{ white-space: normal; min-width: 7rem; max-width: 40vw; }}
table.many td {{ white-space: nowrap; }}
table.short {{ width: 100%; font-size: .9rem; }}
table.short :is(th, td) {{ padding-right: .3rem; white-space: normal; }}
table.short td:not(:first-child) {{ overflow-wrap: anywhere; }}
table:not(.short, .many), table:not(.short, .many) :is(thead, tbody) {{ display: block; }}
table:not(.short, .many) tr {{ display: flex; flex-wrap: wrap; gap: 0 .75rem; padding: .3rem 0; }}
table:not(.short, .many) tr {{ border-bottom: 1px solid var(--line); }}
table:not(.short, .many) :is(th, td) {{ flex: 1 1 0; padding: 0; border: 0; }}
table:not(.short, .many) :is(th, td) {{ white-space: normal; overflow-wrap: anywhere; }}
table:not(.short, .many) :is(th, td):last-child:nth-child(2) {{ flex: 0 1 auto; max-width: 60%; }}
table:not(.short, .many) :is(th, td):first-child:nth-last-child(n + 3) {{ flex-basis: 100%; }}
}}
"""
# on paper nothing is folded or cut, and no figure, row or card is divided between two sheets
STYLE += """@media print {
:root { color-scheme: light; }
@page { margin: 15mm; }
body { font-size: 10pt; }
main { max-width: none; padding: 0; }
h2 { break-after: avoid; }
figure, tr, .card, pre { break-inside: avoid; }
figure.wide, .scroll { overflow: visible; }
figure.wide img { width: 100%; }
th, td { white-space: normal; }
details::details-content { content-visibility: visible; display: block; }
summary { list-style: none; color: var(--ink); font-weight: 600; }
}
"""
