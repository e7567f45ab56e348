"""Golden values for tests, from PyTorch, scipy, statsmodels-like formulas and astropy.

usage: python scripts/golden.py   (needs numpy, scipy, torch, astropy; prints what the tests hold)
"""
import numpy as np
import torch
from astropy.stats import binom_conf_interval
from scipy.ndimage import gaussian_filter1d

# crates/slipher-nn/src/optimiser.rs: three steps on the gradient w² − 0.3 t.
for name, make in [
    ("AdamW", lambda p: torch.optim.AdamW(p, lr=0.01, betas=(0.9, 0.99), weight_decay=0.1)),
    ("Adam", lambda p: torch.optim.Adam(p, lr=0.01, betas=(0.9, 0.99), weight_decay=0.1)),
    ("SGD", lambda p: torch.optim.SGD(p, lr=0.01, weight_decay=0.1)),
    ("momentum", lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9, weight_decay=0.1)),
    ("Nesterov", lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9, nesterov=True, weight_decay=0.1)),
    ("Adagrad", lambda p: torch.optim.Adagrad(p, lr=0.01, weight_decay=0.1)),
]:
    w = torch.tensor([1.0, -2.0, 0.5], requires_grad=True)
    opt = make([w])
    for t in range(1, 4):
        w.grad = (w.detach() ** 2 - 0.3 * t).clone()
        opt.step()
    print(name, [round(float(x), 6) for x in w])

# crates/slipher-nn/src/conv.rs: torch.nn.functional.conv1d, 16 → 16 channels, 5 taps, dilation 3, "same".
n, c, taps, dil = 20, 16, 5, 3
f = lambda k: torch.tensor([np.sin(0.37 * i + 0.11 * k) for i in range(k)], dtype=torch.float32)
x = f(n * c).reshape(n, c)
wt = f(taps * c * c).reshape(taps, c, c)  # [tap][in][out]
b = f(c)
x.requires_grad_(True)
wt.requires_grad_(True)
y = torch.nn.functional.conv1d(x.T[None], wt.permute(2, 1, 0), b, padding=dil * (taps // 2), dilation=dil)[0].T
(y * f(n * c + 1)[1:].reshape(n, c)).sum().backward()
print("conv y[3][2], y[19][15], dx[0][1], dx[10][7], dw[0][0][0], dw[4][15][3]:", [round(float(v), 4) for v in (y[3, 2], y[19, 15], x.grad[0, 1], x.grad[10, 7], wt.grad[0, 0, 0], wt.grad[4, 15, 3])])

# crates/slipher-systems/src/redshift/score.rs: Wilson interval of 8 in 10.
print("Wilson", binom_conf_interval(8, 10, 0.95, interval="wilson"))

# crates/slipher-sim/src/sed.rs: a step smoothed by a Gaussian of 6 pixels.
step = np.r_[np.zeros(60), np.ones(60)]
s = gaussian_filter1d(step, 6.0)
print("gaussian step at 50, 57, 60, 66:", [round(float(s[i]), 4) for i in (50, 57, 60, 66)])

# crates/slipher-nn/src/loss.rs
l = torch.tensor([[1.0, 2.0, -1.0], [0.5, 0.0, 3.0]], requires_grad=True)
loss = torch.nn.functional.cross_entropy(l, torch.tensor([1, 0]))
loss.backward()
print("cross entropy", float(loss), l.grad.tolist())

# crates/slipher-nn/src/network.rs
def wave(n,k): return torch.tensor(np.sin(0.37*np.arange(n)+k),dtype=torch.float32)
net=torch.nn.Sequential(torch.nn.Conv2d(5,16,3),torch.nn.LeakyReLU(.1),torch.nn.Conv2d(16,32,3,padding='same'),torch.nn.LeakyReLU(.1),torch.nn.MaxPool2d(2),torch.nn.Conv2d(32,16,(2,3),padding='same'),torch.nn.LeakyReLU(.1),torch.nn.Flatten(),torch.nn.Linear(16*3*4,20),torch.nn.LeakyReLU(.1),torch.nn.Linear(20,3))
ps=list(net.parameters())
with torch.no_grad():
    for i,p in enumerate(ps): p.copy_(0.2*wave(p.numel(),i).reshape(p.shape))
y=net(wave(2*5*9*11,0.5).reshape(2,5,9,11)); l=torch.nn.functional.cross_entropy(y,torch.tensor([2,0])); l.backward()
print('    const LOGITS: [f32; 6] = [%s];'%', '.join('%.4f'%v for v in y.flatten().tolist()))
print('    const LOSS: f64 = %.5f;'%l.item())
print('    const GRADS: [(f32, f32); 10] = [%s];'%', '.join('(%.5f, %.5f)'%(p.grad.sum(),p.grad.flatten()[2]) for p in ps))

# crates/slipher-nn/src/network.rs, batch normalisation
net=torch.nn.Sequential(torch.nn.Conv1d(1,16,8,padding='same'),torch.nn.ReLU(),torch.nn.MaxPool1d(3,2),torch.nn.BatchNorm1d(16,1e-3,0.1),torch.nn.Conv1d(16,16,8,padding='same'),torch.nn.ReLU(),torch.nn.BatchNorm1d(16,1e-3,0.1),torch.nn.Flatten(),torch.nn.Linear(320,20),torch.nn.Linear(20,3))
ps=list(net.parameters())
with torch.no_grad():
    for i,p in enumerate(ps): p.copy_(0.3*wave(p.numel(),i).reshape(p.shape)+0.1)
x=wave(3*41,0.5).reshape(3,1,41); l=torch.nn.functional.cross_entropy(net(x),torch.tensor([2,0,1])); l.backward(); net.eval()
print('    const BN_LOSS: f64 = %.5f;'%l.item())
print('    const BN_EVAL: [f32; 9] = [%s];'%', '.join('%.4f'%v for v in net(x).flatten().tolist()))
print('    const BN_GRADS: [(f32, f32); 12] = [%s];'%', '.join('(%.5f, %.5f)'%(p.grad.abs().sum(),p.grad.flatten()[2]) for p in ps))

# crates/slipher-nn/src/network/tests.rs: views joined, space to depth, response normalisation, groups, means of maps, maxout
class Views(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.a=torch.nn.Conv2d(4,32,3); self.b=torch.nn.Conv2d(32,16,3,padding=1,groups=2); self.c=torch.nn.Linear(64,12); self.d=torch.nn.Linear(6,3)
    def forward(self,x):
        f=torch.nn.functional; h=f.leaky_relu(self.a(f.pixel_unshuffle(x,2)),0.1); h=f.local_response_norm(h,5,0.5,0.75,1.0)
        h=f.leaky_relu(self.b(h),0.1).mean((2,3)).reshape(-1,64)
        return self.d(self.c(h).reshape(-1,6,2).max(2).values)
net=Views(); ps=list(net.parameters())
with torch.no_grad():
    for i,p in enumerate(ps): p.copy_(0.5*wave(p.numel(),i).reshape(p.shape)+0.05)
l0=net(wave(8*256,0.5).reshape(8,1,16,16)); l=torch.nn.functional.cross_entropy(l0,torch.tensor([2,0])); l.backward()
print('    const VIEWS_LOGITS: [f32; 6] = [%s];'%', '.join('%.5f'%v for v in l0.flatten().tolist()))
print('    const VIEWS_GRADS: [(f32, f32); 8] = [%s];'%', '.join('(%.5f, %.5f)'%(p.grad.abs().sum(),p.grad.flatten()[2]) for p in ps))

# crates/slipher-nn/src/loss.rs: other losses
l=torch.tensor([[0.2,-0.4,0.9,0.1],[-1.1,0.3,0.5,0.4]],requires_grad=True); y=torch.tensor([1,2])
for name,f in [("logistic",lambda l: torch.nn.functional.multilabel_soft_margin_loss(l,torch.nn.functional.one_hot(y,4).float())*4/np.log(2)),("hinge",lambda l: (1+l.masked_fill(torch.nn.functional.one_hot(y,4).bool(),-1e9).max(1).values-l.gather(1,y[:,None])[:,0]).clamp(min=0).mean()),("squared",lambda l: .5*((l-torch.nn.functional.one_hot(y,4))**2).sum(1).mean())]:
    l.grad=None; v=f(l); v.backward(); print(name,round(v.item(),6),[round(g,5) for g in l.grad.flatten().tolist()])

# crates/slipher-classical: the same sets, from scikit-learn (pip install scikit-learn)
from sklearn.ensemble import RandomForestClassifier
from sklearn.svm import LinearSVC
def spiral(n,seed):
    st=seed; M=2**64
    def u():
        nonlocal st
        st=(st*6364136223846793005+1442695040888963407)%M
        return (st>>40)/2**24
    X=[];L=[]
    for i in range(n):
        c=i%5;t=u();a=2*np.pi*(c/5+.7*t); noise=lambda s:s*(u()+u()+u()-1.5)
        X.append([t*np.cos(a)+noise(.12),t*np.sin(a)+noise(.12),noise(1),noise(1)]);L.append(c)
    return np.array(X),np.array(L)
(X,L),(TX,TL)=spiral(1500,7),spiral(1500,8)
print("forest on the spiral:", np.mean([RandomForestClassifier(100,max_features=2,random_state=s).fit(X,L).score(TX,TL) for s in range(3)]))
print("Crammer-Singer SVM on the spiral:", LinearSVC(multi_class='crammer_singer',C=1.0,max_iter=20000).fit((X-X.mean(0))/X.std(0),L).score((TX-X.mean(0))/X.std(0),TL))
