r"""Autoencoders as records of pure functions; one constructor per family, and wrappers that compose.

Every method of the package, with its formula, its function (in `aejax`) and its source:

| family or term | formula | function | source |
| --- | --- | --- | --- |
| undercomplete | E L(x, g(f(x))) | `autoencoders.undercomplete` | Baldi and Hornik 1989 |
| denoising | E L(x, g(f(x̃))) | `autoencoders.denoising` | Vincent et al. 2008 |
| contractive | L + λ E ‖∂f/∂x‖_F² | `autoencoders.contractive` | Rifai et al. 2011 |
| contractive, higher order (CAE+H) | L + λ E ‖J‖_F² + γ E ‖J(x) - J(x + ε)‖_F² | `contractive(higher_order_weight=...)` | Rifai et al. 2011b |
| contractive by projections | L + λ E ‖vᵀJ‖² | `autoencoders.contractive_by_projections` | Hoffman et al. 2019 |
| tied weights | h = s(x W + b), x̂ = W h + c | `autoencoders.tied` | Vincent et al. 2010; Rifai et al. 2011 |
| sparse by L1 | L + λ E Σ abs(hₖ) | `autoencoders.sparse` | Goodfellow et al. 2016 |
| sparse by KL | L + λ Σ KL(ρ ‖ ρ̂ₖ), ρ̂ = E h | `autoencoders.sparse_kl` | Ng 2011 |
| weight decay in the loss | L + λ Σ W² | `autoencoders.l2_regularized` | Krogh and Hertz 1991 |
| k-sparse | only the k largest hₖ | `autoencoders.k_sparse` | Makhzani and Frey 2014 |
| dictionary by L1 | E ‖x - x̂‖² + λ E Σ fᵢ ‖dᵢ‖, f = ReLU(π) | `autoencoders.l1_dictionary` | Bricken et al. 2023; Conerly et al. 2024 |
| TopK | f keeps the k largest πᵢ; dead units learn the residual | `autoencoders.top_k` | Gao et al. 2024 |
| BatchTopK | B codes keep the k B largest πᵢ; a threshold at use | `autoencoders.batch_top_k` | Bussmann et al. 2024 |
| JumpReLU | f = π H(π - θ), λ E Σ H(πᵢ - θᵢ), θ learned | `autoencoders.jump_relu` | Rajamanoharan et al. 2024 |
| gated | f = H(π) ReLU(m), λ E Σ ReLU(πᵢ) ‖dᵢ‖ | `autoencoders.gated` | Rajamanoharan et al. 2024b |
| Matryoshka | Σₘ wₘ E ‖x - x̂(f₁..ₘ)‖² | `autoencoders.matryoshka` | Bussmann et al. 2025 |
| resampling of silent units | dᵢ = x / ‖x‖, x drawn by its error | `autoencoders.resampled` | Bricken et al. 2023 |
| variational | E[-log p(x given z)] + β KL(q ‖ p) | `autoencoders.variational` | Kingma and Welling 2014; Higgins et al. 2017 |
| several stochastic layers | q(h₁ given x) q(h₂ given h₁), p(x given h₁) p(h₁ given h₂) p(h₂) | `autoencoders.hierarchical` | Burda et al. 2016 |
| conditional | f(x, c), g(h, c) | `autoencoders.conditional` | Sohn et al. 2015 |
| importance weighted | -E log (1/k) Σᵢ p(x, zᵢ)/q(zᵢ given x) | `autoencoders.importance_weighted` | Burda et al. 2016 |
| its doubly reparameterized and path gradients | Σₖ w̃ₖ² ∂log wₖ/∂zₖ ∂zₖ/∂φ; w̃ₖ for w̃ₖ² | `importance_weighted(gradient=...)` | Tucker et al. 2019; Roeder et al. 2017 |
| MIWAE | -E (1/M) Σₘ log (1/K) Σₖ wₘₖ | `autoencoders.multiply_importance_weighted` | Rainforth et al. 2018 |
| PIWAE | decoder by IWAE(M K), encoder by MIWAE(M, K) | `autoencoders.partially_importance_weighted` | Rainforth et al. 2018 |
| CIWAE | -E [β (1/K) Σₖ log wₖ + (1 - β) log (1/K) Σₖ wₖ] | `autoencoders.combination_importance_weighted` | Rainforth et al. 2018 |
| InfoVAE, WAE | L + λ MMD²(q(z), p(z)) | `autoencoders.mmd_regularized` | Zhao et al. 2019; Tolstikhin et al. 2018 |
| β-TCVAE | -ELBO + λ KL(q(z) ‖ Π q(zₖ)) | `autoencoders.total_correlation_penalized` | Chen et al. 2018 |
| free bits | Σ max(λ, E KLₖ) | `autoencoders.variational(free_bits=...)` | Kingma et al. 2016 |
| warm-up of β | step -> β | `schedules.linear_warm_up`, `cyclical_warm_up` | Bowman et al. 2016; Fu et al. 2019 |
| mixture prior, VampPrior | Σ πₘ N(μₘ, σₘ²); (1/M) Σ q(z given uₘ) | `priors.mixture_prior`, `vamp_prior` | Tomczak and Welling 2018 |
| Bernoulli, continuous Bernoulli, beta | log p(x given parameters), x in [0, 1] | `likelihoods.bernoulli`, `continuous_bernoulli`, `beta` | Loaiza-Ganem and Cunningham 2019 |
| Gaussian, fixed, global or predicted variance | -½ Σ (x - μ)²/σ² + log 2πσ² | `likelihoods.gaussian`, `gaussian_with_predicted_variance`, `networks.with_global_log_variance` | Rybkin et al. 2021 |
| levels, such as bytes: discretized logistic | log[σ((x + ½/n - μ)/s) - σ((x - ½/n - μ)/s)], bits per dimension | `likelihoods.discretized_logistic` | Kingma et al. 2016 |
| Laplace, categorical, Poisson | log p(x given parameters) | `likelihoods.laplace`, `categorical`, `poisson` | |
| mixed tables | Σ꜀ log p꜀(x꜀) over known values, a likelihood by column | `autoencoders.tabular`, `likelihoods.tables.table_likelihood`, `TableLoss` | Nazábal et al. 2020 |
| sequences of unequal length | Σₜ over known steps alone | `likelihoods.over_known`, `losses.OverKnown` | |
| data far from unit scale | x = μ + σ u, log p(x) = log p(u) - Σ log σ | `autoencoders.standardized`, `likelihoods.standardized` | |
| squared error | Σ (x - x̂)² | `losses.squared_error` | Goodfellow et al. 2016 |
| absolute error | Σ abs(x - x̂) | `losses.absolute_error` | Goodfellow et al. 2016 |
| Huber | Σ h(x - x̂) | `losses.huber` | Huber 1964 |
| 1 - SSIM | one minus mean structural similarity | `losses.structural_dissimilarity` | Wang et al. 2004 |
| cross-entropy of classes | -Σ x log softmax(logits) | `losses.categorical_cross_entropy` | Bishop 2006 |
| cross-entropy | -Σ x log p + (1 - x) log(1 - p), p = σ(logits) | `losses.binary_cross_entropy` | Kingma and Welling 2014 |
| Gaussian KL | ½ Σ σ²/σ₀² - 1 - log(σ²/σ₀²) + (μ - μ₀)²/σ₀² | `divergences.gaussian_kl` | Kingma and Welling 2014 |
| Gaussian KL, full covariance | ½ [tr(Σ₀⁻¹Σ) - K + log det Σ₀/det Σ + (μ - μ₀)ᵀ Σ₀⁻¹ (μ - μ₀)] | `divergences.full_gaussian_kl` | Cover and Thomas 2006 |
| categorical, Bernoulli KL | Σ p log(p/q), never negative | `divergences.categorical_kl`, `bernoulli_kl` | Kullback and Leibler 1951 |
| reparameterization | z = μ + σ ε, ε ~ N(0, I) | `sampling.reparameterize` | Kingma and Welling 2014 |
| salt and pepper, Gaussian noise, masking, blur | x̃ ~ q(x̃ given x) | `corruption.salt_and_pepper`, `gaussian_noise`, `masking`, `gaussian_blur` | Vincent et al. 2010 |
| random shifts of images to train on | yᵢⱼ = x₍ᵢ₋ₐ₎₍ⱼ₋ᵦ₎, `--shift` | `augmentation.shift` | Simard et al. 2003 |
| active units, mutual information of the code | Var E[z given x] > 0.01; a lower bound of I(x; z), at most log N | `evaluation.code_statistics` | Burda et al. 2016; Hoffman and Johnson 2016 |
| disentanglement: MIG, SAP, DCI | gaps of mutual information and of predictability; entropy of importance | `evaluation.disentanglement.mutual_information_gap`, `separated_predictability`, `disentanglement_completeness_informativeness` | Chen et al. 2018; Kumar et al. 2018; Eastwood and Williams 2018 |
| FactorVAE and beta-VAE scores, modularity, explicitness, IRS | accuracies of votes and classifiers; 1 - deviations | `evaluation.disentanglement.factor_vae_score`, `beta_vae_score`, `modularity`, `explicitness`, `interventional_robustness` | Kim and Mnih 2018; Higgins et al. 2017; Ridgeway and Mozer 2018; Suter et al. 2019 |
| rate and distortion | R = KL(q ‖ p), D = -E log p(x given z), their lower hull; R(D) of a Gaussian source | `evaluation.rate_distortion.lower_hull`, `gaussian_rate` | Alemi et al. 2018; Cover and Thomas 2006 |
| Jacobian, its squared norm | J = ∂f/∂x; ‖J‖_F², exact, four methods | `jacobian.jacobian`, `frobenius_norm_squared`, `contractive_penalty` | Rifai et al. 2011 |
| its estimate | E ‖vᵀJ‖², with its variance | `jacobian.estimate_frobenius_norm_squared`, `estimator_variance` | Hoffman et al. 2019 |
| spectra | σ(J), effective rank, intrinsic dimension, saturation, contraction curve | `jacobian.singular_values`, `effective_rank`, ... | Roy and Vetterli 2007; Rifai et al. 2011 |
| other norms | largest σ, Σ σ, log det JᵀJ, orthogonality | `jacobian.spectral_norm`, `nuclear_norm`, `log_determinant`, `orthogonality_penalty` | |
| codes to be quantized | y = Uᵀ Sᵀ (h - μ), S Sᵀ = E JᵀJ of the decoder | `evaluation.transform_coding` | Goyal 2001 |
| geometry of a decoder | G = JᵀJ; length, energy, volume, geodesics | `jacobian.pullback_metric`, `geodesic`, ... | Arvanitidis et al. 2018 |

Families compose: `denoising(contractive(undercomplete(encoder, decoder), weight=0.1), corrupt=...)`. A term that is
coupled through the batch (sparse by KL, free bits, MMD, total correlation) expects the `axis_name` over which the global
batch is divided, `aejax.training.AXIS` under `train`. Combinations that have no meaning are refused when they are built,
with the reason. A condition or a separate noisy input is passed with the data:
`Examples(x, input=noisy, condition=labels)`.
"""  # noqa: E501 (rows of a table)

from aejax.autoencoders.combination_importance_weighted import (
    combination_importance_weighted as combination_importance_weighted,
)
from aejax.autoencoders.conditional import conditional as conditional
from aejax.autoencoders.contractive import contractive as contractive
from aejax.autoencoders.contractive import contractive_by_projections as contractive_by_projections
from aejax.autoencoders.denoising import denoising as denoising
from aejax.autoencoders.dictionaries import Dictionary as Dictionary
from aejax.autoencoders.dictionaries import batch_top_k as batch_top_k
from aejax.autoencoders.dictionaries import dictionary as dictionary
from aejax.autoencoders.dictionaries import gated as gated
from aejax.autoencoders.dictionaries import jump_relu as jump_relu
from aejax.autoencoders.dictionaries import l1_dictionary as l1_dictionary
from aejax.autoencoders.dictionaries import matryoshka as matryoshka
from aejax.autoencoders.dictionaries import resampled as resampled
from aejax.autoencoders.dictionaries import top_k as top_k
from aejax.autoencoders.hierarchical import hierarchical as hierarchical
from aejax.autoencoders.importance_weighted import importance_weighted as importance_weighted
from aejax.autoencoders.information import mmd_regularized as mmd_regularized
from aejax.autoencoders.information import total_correlation_penalized as total_correlation_penalized
from aejax.autoencoders.l2_regularized import l2_regularized as l2_regularized
from aejax.autoencoders.multiply_importance_weighted import multiply_importance_weighted as multiply_importance_weighted
from aejax.autoencoders.part import Part as Part
from aejax.autoencoders.part import Term as Term
from aejax.autoencoders.part import loss_terms as loss_terms
from aejax.autoencoders.part import part_names as part_names
from aejax.autoencoders.partially_importance_weighted import (
    partially_importance_weighted as partially_importance_weighted,
)
from aejax.autoencoders.penalized import penalized as penalized
from aejax.autoencoders.record import Autoencoder as Autoencoder
from aejax.autoencoders.record import Batch as Batch
from aejax.autoencoders.record import Examples as Examples
from aejax.autoencoders.record import Variational as Variational
from aejax.autoencoders.record import as_batch as as_batch
from aejax.autoencoders.sparse import k_sparse as k_sparse
from aejax.autoencoders.sparse import sparse as sparse
from aejax.autoencoders.sparse import sparse_kl as sparse_kl
from aejax.autoencoders.standardized import standardized as standardized
from aejax.autoencoders.tabular import tabular as tabular
from aejax.autoencoders.tied import tied as tied
from aejax.autoencoders.undercomplete import undercomplete as undercomplete
from aejax.autoencoders.variational import variational as variational

__all__ = [
    "Autoencoder",
    "Batch",
    "Dictionary",
    "Examples",
    "Part",
    "Term",
    "Variational",
    "as_batch",
    "batch_top_k",
    "combination_importance_weighted",
    "conditional",
    "contractive",
    "contractive_by_projections",
    "denoising",
    "dictionary",
    "gated",
    "hierarchical",
    "importance_weighted",
    "jump_relu",
    "k_sparse",
    "l1_dictionary",
    "l2_regularized",
    "loss_terms",
    "matryoshka",
    "mmd_regularized",
    "multiply_importance_weighted",
    "part_names",
    "partially_importance_weighted",
    "penalized",
    "resampled",
    "sparse",
    "sparse_kl",
    "standardized",
    "tabular",
    "tied",
    "top_k",
    "total_correlation_penalized",
    "undercomplete",
    "variational",
]
