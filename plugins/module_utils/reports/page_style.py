# SPDX-License-Identifier: GPL-3.0-or-later
"""How the report looks, and the little that moves in it. One file opens anywhere: no font, picture or script from elsewhere.

Colours come in pairs for light and dark; steps of coming are blues, of leaving ambers, and each bar says its steps in words as well.
"""

from __future__ import annotations

LIGHT = """--page:#fff;--card:#f6f7f9;--ink:#1b2430;--soft:#566273;--line:#dde2e8;--grid:#e9ecf0;--accent:#1f5fae;
--create:#6996cd;--boot:#3f76ba;--join:#1f4f8d;--soak:#3d9483;--serve:#c3cad3;--drain:#cb7d10;--detach:#a85a14;--delete:#7d4214;
--trouble:#c4303c;--aside:#7b4bb8;--held:#7d8896;--good:#1e7a4c;--bad:#b3262f;--fill:#3f76ba2e"""
DARK = """--page:#12161c;--card:#1a2028;--ink:#e6eaf0;--soft:#9ca8b8;--line:#2d3641;--grid:#222a34;
--accent:#7db3f0;--create:#a9c8ec;--boot:#6ea4e0;--join:#3f7fcb;--soak:#52b5a0;--serve:#46515f;--drain:#eda93f;--detach:#cf8138;
--delete:#a8663a;--trouble:#ef6a70;--aside:#ab86e0;--held:#8b96a5;--good:#5cc08d;--bad:#f07b80;--fill:#6ea4e033"""

STYLE = (
    ":root{color-scheme:light dark;"
    + LIGHT
    + "}@media (prefers-color-scheme:dark){:root{"
    + DARK
    + "}}"
    + """
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,
sans-serif;font-variant-numeric:tabular-nums;-webkit-text-size-adjust:100%}
main{max-width:1240px;margin:0 auto;padding:40px 32px 64px}
h1{font-size:28px;line-height:1.2;font-weight:650;letter-spacing:-.01em;margin:0}
h2{font-size:18px;font-weight:620;margin:48px 0 4px}
p{margin:0 0 12px;max-width:78ch}
.soft,caption,.note{color:var(--soft)}
.note{font-size:14px}
header p{margin:6px 0 0}
.state{display:inline-block;font-size:13px;font-weight:600;line-height:1;padding:5px 9px;border:1.5px solid currentColor;border-radius:99px;
vertical-align:5px;margin-left:12px}
.good{color:var(--good)}.bad{color:var(--bad)}.wait{color:var(--detach)}
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(140px,1fr));gap:1px;margin:28px 0 0;background:var(--line);
border:1px solid var(--line);border-radius:8px;overflow:hidden}
.facts div{background:var(--page);padding:12px 16px}
.facts dt{font-size:13px;color:var(--soft)}
.facts dd{margin:2px 0 0;font-size:20px;font-weight:600;line-height:1.3}
.facts small{font-size:13px;font-weight:400;color:var(--soft);display:block}
.failure{border-left:4px solid var(--bad);background:var(--card);border-radius:0 8px 8px 0;padding:16px 20px;margin:28px 0 0}
.failure.pending{border-left-color:var(--detach)}
.said{margin:8px 0 0;padding-left:20px}
.failure dl{display:grid;grid-template-columns:max-content 1fr;gap:4px 16px;margin:0}
.failure dt{color:var(--soft)}.failure dd{margin:0;overflow-wrap:anywhere}
.failure code{font:13.5px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
table{border-collapse:collapse;width:100%;font-size:14px}
caption{text-align:left;padding:0 0 10px;font-size:14px}
th,td{text-align:left;padding:6px 16px 6px 0;border-bottom:1px solid var(--line);vertical-align:top;font-weight:400}
thead th{font-size:13px;color:var(--soft);border-bottom-color:var(--soft);white-space:nowrap}
td.n,th.n{text-align:right;white-space:nowrap}td.n+td:not(.n),th.n+th:not(.n){padding-left:16px}
table.narrow{width:auto}
td.w{overflow-wrap:anywhere}
.key{display:flex;flex-wrap:wrap;gap:4px 18px;list-style:none;padding:0;margin:8px 0 14px;font-size:13px;color:var(--soft)}
.key svg{width:18px;height:10px;margin-right:7px}
.plot{display:grid;grid-template-columns:44px 1fr;grid-template-rows:180px 22px}
.plot svg{width:100%;height:180px;display:block;border-bottom:1px solid var(--soft);overflow:visible}
.plot .y{position:relative}.plot .y span{position:absolute;right:10px;transform:translateY(-50%);font-size:12px;color:var(--soft)}
.axis{position:relative;height:20px;font-size:12px;color:var(--soft);grid-column:2}
.axis span{position:absolute;transform:translateX(-50%);white-space:nowrap;top:3px}.axis span:first-child{transform:none}
.strip{display:block;width:100%;height:22px;border-radius:4px}
.c{fill:var(--create)}.b{fill:var(--boot)}.j{fill:var(--join)}.s{fill:var(--soak)}.r{fill:var(--serve)}.d{fill:var(--drain)}
.v{fill:var(--detach)}.x{fill:var(--delete)}.t{fill:var(--trouble)}.q{fill:var(--aside)}.h{fill:var(--held)}
.w{fill:var(--serve)}.k{fill:var(--ink)}.o{fill:var(--bad)}
.machines{table-layout:fixed}
.machines th,.machines td{padding:0 12px 0 0;height:24px;vertical-align:middle;border:0;white-space:nowrap;overflow:hidden;
text-overflow:ellipsis}
.machines tbody th{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:12.5px}
.machines .zone{color:var(--soft);font-size:13px}
.machines thead th{position:sticky;top:0;background:var(--page);height:30px;z-index:1;box-shadow:0 1px var(--soft)}
.machines td.time,.machines th.time{padding:0;overflow:visible}
.machines td.time{background-image:repeating-linear-gradient(90deg,var(--grid) 0 1px,transparent 1px var(--tick))}
.machines td.time svg{display:block;width:100%;height:14px}
.machines td.took{font-size:13px;padding:0 0 0 16px;color:var(--soft)}
.machines tbody tr:hover{background:var(--card)}
.machines .part th{font:600 13px/1.4 system-ui,sans-serif;color:var(--soft);padding-top:14px;height:38px}
.dense td,.dense tbody th{height:16px;line-height:16px}.dense tbody th{font-size:11px}.dense .zone,.dense td.took{font-size:11.5px}
.dense td.time svg{height:10px}
.find{display:flex;align-items:center;gap:12px;font-size:14px;margin:0 0 8px}
.find input{font:inherit;color:inherit;background:var(--page);border:1px solid var(--soft);border-radius:6px;padding:5px 10px;width:260px}
.find input:focus-visible,summary:focus-visible{outline:2px solid var(--accent);outline-offset:2px}
details{margin-top:12px}summary{cursor:pointer;color:var(--accent);font-size:14px;padding:4px 0}
footer{margin-top:56px;padding-top:14px;border-top:1px solid var(--line);font-size:13px;color:var(--soft)}
@media (max-width:720px){main{padding:24px 16px}.machines .zone{display:none}.machines col.zone{width:0}}
@page{size:A4 landscape;margin:12mm}
@media print{:root{color-scheme:light;"""
    + LIGHT
    + """}
body{font-size:11pt;print-color-adjust:exact;-webkit-print-color-adjust:exact}main{max-width:none;padding:0}.find,details{display:none}
.machines thead th{position:static;box-shadow:none;border-bottom:1px solid var(--soft)}
tr,.facts,.failure,.plot,.strip{break-inside:avoid}h2{break-after:avoid}h2{margin-top:28px}}
"""
)

# Finding a machine among a thousand; everything else works without a script.
SCRIPT = """
(function(){var field=document.getElementById("find");if(!field)return;var said=document.getElementById("found");
var rows=Array.prototype.slice.call(document.querySelectorAll(".machines tbody tr:not(.part)"));
var texts=rows.map(function(row){return row.textContent.toLowerCase()});document.querySelector(".find").hidden=false;
field.addEventListener("input",function(){var wanted=field.value.trim().toLowerCase(),count=0;
rows.forEach(function(row,i){var is=texts[i].indexOf(wanted)>=0;row.hidden=!is;if(is)count++});
said.textContent=wanted?count+" of "+rows.length:""})})();
"""
