"""A training step in several processes, started by torchrun: training.md runs it."""

import os

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

import topolayer as tl

cuda = torch.cuda.is_available()
torch.distributed.init_process_group("nccl" if cuda else "gloo")
rank, world = torch.distributed.get_rank(), torch.distributed.get_world_size()
device = torch.device(f"cuda:{os.environ['LOCAL_RANK']}" if cuda else "cpu")

torch.manual_seed(0)  # the same weights and the same data in every process
net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 1, 1)).to(device)
x = torch.rand(8, 1, 32, 32, device=device)


def gradients(model, x):
    net.zero_grad()
    with tl.Regularizer(model, {"1": tl.few_maxima}) as regularizer:
        loss = model(x).square().mean() + 1e-2 * regularizer()
        loss.backward()  # once, of the sum
    gradient = torch.cat([p.grad.flatten() for p in net.parameters()])
    return gradient, regularizer.last["1"]


expected, _ = gradients(net, x)  # of all 8 samples, without the other process
share = x.chunk(world)[rank]  # of this process
found, penalty = gradients(DistributedDataParallel(net), share)
penalties = [torch.zeros_like(penalty) for _ in range(world)]
torch.distributed.all_gather(penalties, penalty)
if rank == 0:
    same = torch.allclose(found, expected, rtol=1e-4)
    shares = ", ".join(f"{value.item():.4f}" for value in penalties)
    print("penalties of the processes:", shares)
    print("gradients as of one process with the whole batch:", same)
torch.distributed.destroy_process_group()
