#nullable enable
#if GSTALKER_INFERENCE_ENGINE
using System;
using GStalker.Transport;
using Unity.InferenceEngine;

namespace GStalker.OnDevice
{
    /// <summary>A bundle's three graphs in Unity's Inference Engine. Answers are waited for: the graphs are small.</summary>
    public sealed class EngineNetworks : IFieldNetworks
    {
        private readonly Worker _audio, _deform, _torso;
        private readonly Tensor<float> _window, _code, _expression, _headPose;
        private readonly Tensor[] _constants;

        public EngineNetworks(AvatarBundle bundle, ModelAsset audio, ModelAsset deform, ModelAsset torso, BackendType backend)
        {
            _audio = new Worker(ModelLoader.Load(audio), backend);
            _deform = new Worker(ModelLoader.Load(deform), backend);
            _torso = new Worker(ModelLoader.Load(torso), backend);
            _window = Make(1, bundle.MelWindow, LogMel.Bands);
            _code = Make(1, bundle.CodeSize);
            _expression = Make(1, bundle.ExpressionSize);
            _headPose = Make(1, 6);
            var firstLayer = new Tensor<float>(new TensorShape(bundle.HeadMovers, bundle.HiddenSize), bundle.FirstLayer);
            var gates = new Tensor<float>(new TensorShape(bundle.HeadMovers, 2), bundle.Gates);
            var torsoLayer = new Tensor<float>(new TensorShape(bundle.TorsoMovers, bundle.TorsoHiddenSize), bundle.TorsoFirstLayer);
            _constants = new Tensor[] { firstLayer, gates, torsoLayer };
            _audio.SetInput("mel_window", _window);
            _deform.SetInput("audio_code", _code);
            _deform.SetInput("expression", _expression);
            _deform.SetInput("first_layer", firstLayer);
            _deform.SetInput("gates", gates);
            _torso.SetInput("head_pose", _headPose);
            _torso.SetInput("torso_first_layer", torsoLayer);
        }

        public void Hear(float[] melWindow, float[] code)
        {
            _window.Upload(melWindow);
            _audio.Schedule();
            Take(_audio, "audio_code", code);
        }

        public void Deform(float[] code, float[] expression, float[] deltas)
        {
            _code.Upload(code);
            _expression.Upload(expression);
            _deform.Schedule();
            Take(_deform, "deltas", deltas);
        }

        public void MoveTorso(float[] headPose, float[] rigid, float[] deltas)
        {
            _headPose.Upload(headPose);
            _torso.Schedule();
            Take(_torso, "torso_rigid", rigid);
            Take(_torso, "torso_deltas", deltas);
        }

        public void Dispose()
        {
            foreach (IDisposable one in new IDisposable[] { _audio, _deform, _torso, _window, _code, _expression, _headPose })
                one.Dispose();
            foreach (Tensor constant in _constants)
                constant.Dispose();
        }

        private static Tensor<float> Make(params int[] sizes)
        {
            int count = 1;
            foreach (int size in sizes)
                count *= size;
            return new Tensor<float>(new TensorShape(sizes), new float[count]);
        }

        private static void Take(Worker worker, string name, float[] target)
        {
            float[] values = ((Tensor<float>)worker.PeekOutput(name)).DownloadToArray();
            Array.Copy(values, target, target.Length);
        }
    }
}
#endif
