//! A page on which people grade ranked stamps: A, B, C or not a lens, by key; the grades are kept by
//! the browser and written as CSV. The only page with a script; it loads nothing.

use std::fmt::Write;

use super::figure::escape;

/// One stamp.
pub struct Stamp {
    /// Place in the list.
    pub rank: i64,
    /// Name of the object.
    pub object_id: String,
    /// Probability at the stated prevalence.
    pub p: f64,
    /// PNG, base64.
    pub picture: String,
}

const STYLE: &str = "body{font:15px/1.4 system-ui,sans-serif;margin:0;background:#14161a;color:#e8eaee}\
header{position:sticky;top:0;background:#14161a;padding:.6em 1em;border-bottom:1px solid #333;z-index:1}\
h1{font-size:1.1em;margin:0 1em 0 0;display:inline}kbd{background:#2a2e36;border-radius:3px;padding:0 .4em}\
button{font:inherit;padding:.2em .8em;margin-left:1em;background:#2a2e36;color:inherit;border:1px solid #555;border-radius:4px}\
main{display:grid;grid-template-columns:repeat(auto-fill,minmax(200px,1fr));gap:8px;padding:1em}\
figure{margin:0;padding:6px;border:2px solid transparent;border-radius:4px;outline:none}\
figure:focus{border-color:#6cb2ff}figure img{width:100%;image-rendering:pixelated;background:#000;display:block}\
figcaption{font-size:12px;overflow-wrap:anywhere;min-height:3em}figcaption b{float:right;font-size:16px}\
figure[data-grade=A]{background:#1d4d2b}figure[data-grade=B]{background:#3d4a17}figure[data-grade=C]{background:#4d3c17}\
figure[data-grade=X]{opacity:.45}";

const SCRIPT: &str = r#"
const all=[...document.querySelectorAll('figure')],key='slipher-grades-'+document.body.dataset.list;
let kept={};try{kept=JSON.parse(localStorage.getItem(key)||'{}')}catch(e){}
const show=f=>{const g=kept[f.dataset.id]||'';f.dataset.grade=g;f.querySelector('b').textContent=g;
 f.setAttribute('aria-label',f.dataset.id+(g?', grade '+g:', not graded'))};
const count=()=>{document.getElementById('done').textContent=all.filter(f=>kept[f.dataset.id]).length+' of '+all.length+' graded'};
all.forEach(show);count();
document.addEventListener('keydown',e=>{if(e.ctrlKey||e.metaKey||e.altKey)return;
 const f=document.activeElement.closest('figure')||all[0],i=all.indexOf(f),k=e.key.toUpperCase();
 const wide=Math.max(1,all.findIndex(g=>g.offsetTop>all[0].offsetTop));
 const to=n=>{const g=all[Math.min(all.length-1,Math.max(0,n))];g.focus();g.scrollIntoView({block:'nearest'})};
 if('ABCX'.includes(k)&&k.length===1){kept[f.dataset.id]=k;show(f);count();
  try{localStorage.setItem(key,JSON.stringify(kept))}catch(e){}to(i+1)}
 else if(e.key==='Backspace'){delete kept[f.dataset.id];show(f);count();
  try{localStorage.setItem(key,JSON.stringify(kept))}catch(e){}}
 else if(e.key==='ArrowRight')to(i+1);else if(e.key==='ArrowLeft')to(i-1);
 else if(e.key==='ArrowDown')to(i+wide);else if(e.key==='ArrowUp')to(i-wide);else return;e.preventDefault()});
const cell=t=>'"'+String(t).replace(/"/g,'""')+'"';
document.getElementById('save').onclick=()=>{const lines=['rank,object_id,p_at_prevalence,grade'];
 all.forEach(f=>lines.push([f.dataset.rank,cell(f.dataset.id),f.dataset.p,kept[f.dataset.id]||''].join(',')));
 const a=document.createElement('a');a.href=URL.createObjectURL(new Blob([lines.join('\n')+'\n'],{type:'text/csv'}));
 a.download='grades.csv';a.click()};
"#;

/// The page; `list` names it among the grades that a browser keeps.
pub fn page(title: &str, list: &str, about: &str, stamps: &[Stamp]) -> String {
    let mut h = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>{0}</title><style>{STYLE}</style></head>\
         <body data-list=\"{1}\"><header><h1>{0}</h1><kbd>A</kbd> sure <kbd>B</kbd> probable \
         <kbd>C</kbd> possible <kbd>X</kbd> not a lens <kbd>⌫</kbd> none, arrows move. \
         <span id=\"done\" aria-live=\"polite\"></span><button id=\"save\">Write CSV</button><br>\
         <small>{2}</small></header><main>",
        escape(title),
        escape(list),
        escape(about)
    );
    for s in stamps {
        let _ = write!(
            h,
            "<figure tabindex=\"0\" data-id=\"{0}\" data-rank=\"{1}\" data-p=\"{2:.6}\">\
             <img alt=\"stamp of {0}\" src=\"data:image/png;base64,{3}\"><figcaption><b></b>{1}. {0}\
             <br>p = {2:.4}</figcaption></figure>",
            escape(&s.object_id),
            s.rank,
            s.p,
            s.picture
        );
    }
    let _ = write!(h, "</main><script>{SCRIPT}</script></body></html>");
    h
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names are shown as text, whatever they hold.
    #[test]
    fn hostile_names_are_text() {
        let s = Stamp {
            rank: 1,
            object_id: "\"><script>alert(1)</script>".into(),
            p: 0.5,
            picture: "AAAA".into(),
        };
        let h = page("t", "l\"", "a", &[s]);
        assert_eq!(h.matches("<script>").count(), 1);
        assert!(h.contains("&quot;&gt;&lt;script&gt;") && h.contains("data-list=\"l&quot;\""));
    }
}
