use std::time::Instant;
use slipher_nn::{correlation::*, fft::*, lanes::Isa, maps::*};
fn main(){
 let isa=Isa::best();
 let plan=LaneFft::new(11250);let mut s=vec![0.1f32;11250*16];let mut sp=vec![];let mut sc=slipher_nn::fft::Scratch::default();
 plan.forward(isa,&mut s,&mut sp,&mut sc);
 let t=Instant::now();for _ in 0..100{plan.forward(isa,&mut s,&mut sp,&mut sc);}println!("fft {:?}",t.elapsed()/100);
 let t=Instant::now();for _ in 0..100{plan.inverse(isa,&sp,&mut s,&mut sc);}println!("inverse {:?}",t.elapsed()/100);
 let c=Correlation::new(11250,6662,-20,4550,9);
 let w=vec![0.01f32;c.weights()];
 let pat=c.patterns_spectrum(isa,&w);
 let mut rows=Maps::zeros(Shape::line(16,2200),(0,0));rows.row_mut(0,0).fill(0.3);
 let mut f=vec![];let mut cs=slipher_nn::correlation::Scratch::default();
 let t=Instant::now();for _ in 0..100{c.rows_spectrum(isa,&rows,800,&mut f,&mut cs);}println!("rows_spectrum {:?}",t.elapsed()/100);
 for b in [1,8]{
 let fs:Vec<Vec<f32>>=vec![f.clone();b];let refs:Vec<&[f32]>=fs.iter().map(|f|f.as_slice()).collect();let mut outs=vec![vec![];b];
 let t=Instant::now();for _ in 0..20{c.correlate(isa,&refs,&pat,&mut outs.iter_mut().collect::<Vec<_>>(),&mut cs);}println!("correlate batch {b}: {:?} each",t.elapsed()/20/b as u32);
 }
}
